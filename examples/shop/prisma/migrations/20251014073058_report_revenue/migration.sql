-- CreateView (by hand): finance reads it; the months are UTC's. It names 'REFUNDED', which only a later
-- transaction than the one that added it may do; hence the migration before this one stands alone.
CREATE VIEW "revenue_per_month" AS
SELECT date_trunc('month', o."placed_at" AT TIME ZONE 'UTC')::date AS "month",
       count(DISTINCT o."id") AS "orders",
       coalesce(sum(p."amount_cents") FILTER (WHERE p."status" = 'CAPTURED'), 0)::bigint AS "captured_cents",
       coalesce(sum(p."amount_cents") FILTER (WHERE p."status" = 'REFUNDED'), 0)::bigint AS "refunded_cents"
  FROM "orders" AS o
  JOIN "payments" AS p ON p."order_id" = o."id"
 GROUP BY 1;

COMMENT ON VIEW "revenue_per_month" IS 'Captured and refunded money by the month of the order; UTC';

-- CreateIndex (by hand): the reminder job looks for the few payments that are still open
CREATE INDEX "payments_pending_idx" ON "payments"("created_at") WHERE "status" = 'PENDING';
