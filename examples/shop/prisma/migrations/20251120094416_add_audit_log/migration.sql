-- CreateTable
CREATE TABLE "audit_log" (
    "id" BIGSERIAL NOT NULL,
    "entity" TEXT NOT NULL,
    "entity_id" INTEGER NOT NULL,
    "action" TEXT NOT NULL,
    "details" JSONB NOT NULL DEFAULT '{}',
    "recorded_by" TEXT NOT NULL DEFAULT CURRENT_USER,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "audit_log_entity_entity_id_idx" ON "audit_log"("entity", "entity_id");

-- CreateFunction (by hand)
CREATE FUNCTION "record_order_status"() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO "audit_log" ("entity", "entity_id", "action", "details")
    VALUES ('order', NEW."id", 'status changed; by trigger',
            jsonb_build_object('from', OLD."status", 'to', NEW."status"));
    RETURN NEW;
END;
$function$;

-- CreateTrigger (by hand)
CREATE TRIGGER "orders_record_status"
AFTER UPDATE OF "status" ON "orders"
FOR EACH ROW WHEN (OLD."status" IS DISTINCT FROM NEW."status")
EXECUTE FUNCTION "record_order_status"();

-- AddCheck (by hand): two accounts that differ in case only have cost us a support case
ALTER TABLE "customers" ADD CONSTRAINT "customers_email_lower_case" CHECK ("email" = lower("email")) NOT VALID;
ALTER TABLE "customers" VALIDATE CONSTRAINT "customers_email_lower_case";
