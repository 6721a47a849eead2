-- CreateIndex (CONCURRENTLY by hand, so that orders can be placed meanwhile; it must stay the only statement here)
CREATE INDEX CONCURRENTLY "orders_placed_at_idx" ON "orders"("placed_at");
