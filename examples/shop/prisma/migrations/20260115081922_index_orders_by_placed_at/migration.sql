-- CreateIndex (by hand: CONCURRENTLY, so that orders are placed meanwhile. It must stay the only statement here.)
CREATE INDEX CONCURRENTLY "orders_placed_at_idx" ON "orders"("placed_at");
