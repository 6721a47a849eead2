-- CreateEnum
CREATE TYPE "movement_reason" AS ENUM ('RECEIPT', 'SALE', 'RETURN', 'CORRECTION');

-- AlterTable
ALTER TABLE "products" ADD COLUMN     "stock_quantity" INTEGER NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "inventory_movements" (
    "id" SERIAL NOT NULL,
    "product_id" INTEGER NOT NULL,
    "reason" "movement_reason" NOT NULL,
    "quantity" INTEGER NOT NULL,
    "note" TEXT,
    "moved_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "inventory_movements_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "inventory_movements_product_id_moved_at_idx" ON "inventory_movements"("product_id", "moved_at");

-- AddForeignKey
ALTER TABLE "inventory_movements" ADD CONSTRAINT "inventory_movements_product_id_fkey" FOREIGN KEY ("product_id") REFERENCES "products"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddCheck (by hand): what is not there cannot be sold
ALTER TABLE "products" ADD CONSTRAINT "products_stock_not_negative" CHECK ("stock_quantity" >= 0);

-- CreateFunction (by hand)
CREATE FUNCTION "apply_inventory_movements"() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    -- One statement may move many products, and one product more than once; so sum first, then update.
    UPDATE "products" AS p
       SET "stock_quantity" = p."stock_quantity" + m.delta
      FROM (SELECT "product_id", sum("quantity")::integer AS delta FROM moved GROUP BY "product_id") AS m
     WHERE p."id" = m."product_id";
    RETURN NULL; -- the result of a statement's trigger is ignored; nothing depends on it
END;
$function$;

-- CreateTrigger (by hand)
CREATE TRIGGER "inventory_movements_apply"
AFTER INSERT ON "inventory_movements"
REFERENCING NEW TABLE AS moved
FOR EACH STATEMENT EXECUTE FUNCTION "apply_inventory_movements"();
