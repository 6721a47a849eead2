-- CreateEnum
CREATE TYPE "loyalty_tier" AS ENUM ('BRONZE', 'SILVER', 'GOLD');

-- CreateTable
CREATE TABLE "loyalty_accounts" (
    "id" SERIAL NOT NULL,
    "customer_id" INTEGER NOT NULL,
    "points" INTEGER NOT NULL DEFAULT 0,
    "tier" "loyalty_tier" NOT NULL DEFAULT 'BRONZE',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "loyalty_accounts_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "loyalty_accounts_points_not_negative" CHECK ("points" >= 0)
);

-- Backfill (by hand): one point for each full euro of a paid order. It comes before the foreign key and the
-- new column, so that customers is not locked while the orders are read.
INSERT INTO "loyalty_accounts" ("customer_id", "points", "tier")
SELECT "customer_id",
       "points",
       (CASE WHEN "points" >= 4000 THEN 'GOLD' WHEN "points" >= 1500 THEN 'SILVER' ELSE 'BRONZE' END)::"loyalty_tier"
  FROM (
           SELECT "customer_id", sum("total_cents" / 100)::integer AS "points"
             FROM "orders"
            WHERE "status" IN ('PAID', 'SHIPPED', 'DELIVERED')
            GROUP BY "customer_id"
       ) AS "earned"
 ORDER BY "customer_id";

-- CreateIndex
CREATE UNIQUE INDEX "loyalty_accounts_customer_id_key" ON "loyalty_accounts"("customer_id");

-- CreateIndex
CREATE INDEX "loyalty_accounts_tier_points_idx" ON "loyalty_accounts"("tier", "points");

-- AddForeignKey
ALTER TABLE "loyalty_accounts" ADD CONSTRAINT "loyalty_accounts_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AlterTable: a constant default is kept in the catalogue, the table is not rewritten
ALTER TABLE "customers" ADD COLUMN     "loyalty_mail" BOOLEAN NOT NULL DEFAULT false;
