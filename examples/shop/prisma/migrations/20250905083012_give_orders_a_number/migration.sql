-- AlterTable
ALTER TABLE "orders" ADD COLUMN     "number" TEXT;

-- Backfill (by hand): orders placed before today get the number that their invoice already carries.
UPDATE "orders"
   SET "number" = 'S-' || to_char("placed_at" AT TIME ZONE 'UTC', 'YYYY') || '-' || lpad("id"::text, 7, '0')
 WHERE "number" IS NULL;

-- AlterTable
ALTER TABLE "orders" ALTER COLUMN "number" SET NOT NULL;

-- AlterTable
ALTER TABLE "addresses" ADD COLUMN     "label" TEXT NOT NULL DEFAULT 'home';

-- CreateIndex
CREATE UNIQUE INDEX "orders_number_key" ON "orders"("number");
