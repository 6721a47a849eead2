-- CreateEnum
CREATE TYPE "shipment_status" AS ENUM ('PACKING', 'IN_TRANSIT', 'DELIVERED', 'RETURNED');

-- CreateTable
CREATE TABLE "shipments" (
    "id" SERIAL NOT NULL,
    "order_id" INTEGER NOT NULL,
    "carrier" TEXT NOT NULL,
    "tracking_code" TEXT,
    "status" "shipment_status" NOT NULL DEFAULT 'PACKING',
    "shipped_at" TIMESTAMPTZ(3),
    "delivered_at" TIMESTAMPTZ(3),

    CONSTRAINT "shipments_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "shipments_order_id_idx" ON "shipments"("order_id");

-- AddForeignKey
ALTER TABLE "shipments" ADD CONSTRAINT "shipments_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddCheck (by hand): nothing arrives before it left
ALTER TABLE "shipments" ADD CONSTRAINT "shipments_delivered_after_shipped" CHECK ("delivered_at" IS NULL OR "delivered_at" >= "shipped_at");
