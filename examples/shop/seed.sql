-- The shop's seed: the same rows on every machine, for the schema after the last of prisma/migrations.
-- It fills an empty shop and leaves a shop with customers as it is. It can be sent in one piece.

DO $seed$
DECLARE
    -- The first order was placed at this moment, and one every twenty-five minutes since.
    opening CONSTANT timestamptz := '2025-01-01 00:00:00+00';
BEGIN
    -- A second seed waits here, and then finds the role, its rights and the customers. It is held from the
    -- beginning because two GRANTs at once on one table fail with "tuple concurrently updated".
    LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE;

    -- Roles belong to the server, not to a database, so no migration makes them. Checkout logs in through a
    -- login role of its own; this one carries what it may do.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_checkout') THEN
        BEGIN
            CREATE ROLE shop_checkout NOLOGIN;
        EXCEPTION
            -- Another database's seed made it between our look and our CREATE.
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;

    -- Whoever seeds must be able to act as checkout in the checks of faber-db.toml. A superuser can already.
    -- Since PostgreSQL 16, having made a role is not enough to SET ROLE to it.
    IF NOT pg_has_role(
        current_user,
        'shop_checkout',
        CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END
    ) THEN
        EXECUTE format('GRANT shop_checkout TO %I', current_user);
    END IF;

    GRANT SELECT ON categories, products, coupons TO shop_checkout;
    GRANT SELECT, INSERT, UPDATE ON customers, addresses, orders, order_lines, payments TO shop_checkout;
    GRANT SELECT, INSERT ON inventory_movements TO shop_checkout;
    GRANT INSERT ON audit_log TO shop_checkout;
    GRANT UPDATE (stock_quantity) ON products TO shop_checkout;
    GRANT UPDATE (redemptions) ON coupons TO shop_checkout;
    GRANT USAGE ON SEQUENCE
        customers_id_seq, addresses_id_seq, orders_id_seq, order_lines_id_seq, payments_id_seq,
        inventory_movements_id_seq, audit_log_id_seq
    TO shop_checkout;

    IF EXISTS (SELECT FROM customers) THEN
        RETURN;
    END IF;

    -- A day is not 24 hours everywhere, and the rows are to be the same everywhere.
    PERFORM set_config('timezone', 'UTC', true);
    -- Fresh tables have no statistics, so the planner expects millions of rows and would compile for them.
    PERFORM set_config('jit', 'off', true);

    INSERT INTO customers (id, email, full_name, phone, created_at, updated_at)
    SELECT i,
           'customer' || i || '@example.com',
           (ARRAY['Ada', 'Bruno', 'Chiara', 'Deniz', 'Elif', 'Femi', 'Greta', 'Hugo', 'Ines', 'Jonas'])[1 + i % 10]
               || ' ' ||
           (ARRAY['Almeida', 'Berger', 'Costa', 'Dubois', 'Eriksen', 'Fischer', 'Garcia'])[1 + i % 7],
           CASE WHEN i % 3 = 0 THEN '+49 30 ' || lpad((i * 7919 % 1000000)::text, 6, '0') END,
           opening - interval '1 year' + i * interval '100 minutes',
           opening - interval '1 year' + i * interval '100 minutes'
      FROM generate_series(1, 5000) AS i;

    -- Address n belongs to customer n; every fourth customer has a second one, from 5001 on.
    INSERT INTO addresses (id, customer_id, label, street, city, postcode, country, created_at)
    SELECT i,
           CASE WHEN i <= 5000 THEN i ELSE (i - 5000) * 4 END,
           CASE WHEN i <= 5000 THEN 'home' ELSE 'work' END,
           (ARRAY['Hauptstrasse', 'Rue de Rivoli', 'Via Roma', 'Calle Mayor'])[1 + i % 4] || ' ' || 1 + i % 180,
           (ARRAY['Berlin', 'Paris', 'Milano', 'Madrid'])[1 + i % 4],
           lpad((i * 37 % 100000)::text, 5, '0'),
           (ARRAY['DE', 'FR', 'IT', 'ES'])[1 + i % 4],
           opening - interval '1 year' + i * interval '80 minutes'
      FROM generate_series(1, 6250) AS i;

    -- Six departments, each with three categories.
    INSERT INTO categories (id, slug, name, parent_id)
    SELECT i,
           lower(d.department || CASE WHEN i > 6 THEN '-' || d.part ELSE '' END),
           d.department || CASE WHEN i > 6 THEN ', ' || lower(d.part) ELSE '' END,
           CASE WHEN i > 6 THEN 1 + (i - 1) % 6 END
      FROM generate_series(1, 24) AS i
     CROSS JOIN LATERAL (
               SELECT (ARRAY['Kitchen', 'Garden', 'Books', 'Toys', 'Lighting', 'Textiles'])[1 + (i - 1) % 6],
                      (ARRAY['', 'Basics', 'Classics', 'Sale'])[1 + (i - 1) / 6]
           ) AS d (department, part)
     ORDER BY i;

    INSERT INTO products (id, sku, name, description, price_cents, status, category_id, created_at, updated_at)
    SELECT i,
           'SKU-' || upper(left(md5(i::text), 4)) || '-' || lpad(i::text, 4, '0'),
           (ARRAY['Plain', 'Tall', 'Folding', 'Woven', 'Little'])[1 + i % 5] || ' '
               || (ARRAY['lamp', 'bowl', 'chair', 'puzzle', 'atlas', 'blanket', 'watering can'])[1 + i % 7],
           'Article ' || md5('product ' || i),
           490 + (i * 7919 % 240) * 50,
           (CASE WHEN i % 50 = 0 THEN 'RETIRED' ELSE 'ACTIVE' END)::product_status,
           7 + i % 18,
           opening - interval '200 days' + i * interval '3 hours',
           opening - interval '200 days' + i * interval '3 hours'
      FROM generate_series(1, 600) AS i;

    INSERT INTO coupons (id, code, percent_off, valid_from, valid_until)
    SELECT i,
           'WELCOME' || i,
           5 * (1 + i % 5),
           opening,
           CASE WHEN i % 2 = 0 THEN opening + interval '2 years' END
      FROM generate_series(1, 40) AS i;

    -- An order has one or two lines. Customers with small numbers buy more often.
    INSERT INTO orders (
        id, number, customer_id, shipping_address_id, coupon_id, status, discount_cents, total_cents, placed_at,
        updated_at
    )
    SELECT o.id,
           'S-' || to_char(o.placed_at AT TIME ZONE 'UTC', 'YYYY') || '-' || lpad(o.id::text, 7, '0'),
           o.customer_id,
           o.customer_id,
           c.id,
           o.status,
           o.lines_cents * coalesce(c.percent_off, 0) / 100,
           o.lines_cents - o.lines_cents * coalesce(c.percent_off, 0) / 100,
           o.placed_at,
           o.placed_at + interval '2 days'
      FROM (
               SELECT i AS id,
                      1 + (i * 7919 % 5000) * (i % 4999) / 5000 AS customer_id,
                      (CASE
                           WHEN i % 50 = 0 THEN 'CANCELLED'
                           WHEN i > 23940 THEN 'PENDING'
                           WHEN i > 23700 THEN 'PAID'
                           WHEN i > 23300 THEN 'SHIPPED'
                           ELSE 'DELIVERED'
                       END)::order_status AS status,
                      opening + (i - 1) * interval '25 minutes' AS placed_at,
                      CASE WHEN i % 20 = 7 THEN 1 + i / 20 % 40 END AS coupon_id,
                      sum((1 + (i + n) % 3) * p.price_cents)::integer AS lines_cents
                 FROM generate_series(1, 24000) AS i
                CROSS JOIN LATERAL generate_series(1, 1 + i % 2) AS n
                 JOIN products AS p ON p.id = 1 + (i * 31 + n * 97) % 600
                GROUP BY i
           ) AS o
      LEFT JOIN coupons AS c ON c.id = o.coupon_id
     ORDER BY o.id;

    INSERT INTO order_lines (id, order_id, product_id, quantity, unit_price_cents)
    SELECT row_number() OVER (ORDER BY i, n), i, p.id, 1 + (i + n) % 3, p.price_cents
      FROM generate_series(1, 24000) AS i
     CROSS JOIN LATERAL generate_series(1, 1 + i % 2) AS n
      JOIN products AS p ON p.id = 1 + (i * 31 + n * 97) % 600
     ORDER BY i, n;

    INSERT INTO payments (id, order_id, method, status, amount_cents, provider_reference, created_at)
    SELECT id,
           id,
           (ARRAY['CARD', 'CARD', 'PAYPAL', 'INVOICE'])[1 + id % 4]::payment_method,
           (CASE status WHEN 'CANCELLED' THEN 'REFUNDED' WHEN 'PENDING' THEN 'PENDING' ELSE 'CAPTURED' END)
               ::payment_status,
           total_cents,
           'pay_' || md5('payment ' || id),
           placed_at + interval '1 minute'
      FROM orders
     ORDER BY id;

    INSERT INTO shipments (id, order_id, carrier, tracking_code, status, shipped_at, delivered_at)
    SELECT row_number() OVER (ORDER BY id),
           id,
           (ARRAY['DHL', 'La Poste', 'BRT', 'Correos'])[1 + customer_id % 4],
           upper(left(md5('shipment ' || id), 12)),
           (CASE status WHEN 'SHIPPED' THEN 'IN_TRANSIT' ELSE 'DELIVERED' END)::shipment_status,
           placed_at + interval '6 hours',
           CASE status WHEN 'DELIVERED' THEN placed_at + interval '2 days' END
      FROM orders
     WHERE status IN ('SHIPPED', 'DELIVERED')
     ORDER BY id;

    -- What was sold had been received first; the trigger on this table carries both over to the stock.
    INSERT INTO inventory_movements (id, product_id, reason, quantity, note, moved_at)
    SELECT p.id, p.id, 'RECEIPT', 5 + p.id % 40 + coalesce(sum(l.quantity), 0), 'opening stock', opening
      FROM products AS p
      LEFT JOIN order_lines AS l ON l.product_id = p.id
     GROUP BY p.id
     ORDER BY p.id;

    INSERT INTO inventory_movements (id, product_id, reason, quantity, note, moved_at)
    SELECT 600 + row_number() OVER (ORDER BY s.month, s.product_id), s.product_id, 'SALE', -s.quantity,
           'sales of ' || to_char(s.month, 'YYYY-MM'), s.month AT TIME ZONE 'UTC' + interval '1 month'
      FROM (
               SELECT date_trunc('month', o.placed_at AT TIME ZONE 'UTC') AS month, l.product_id,
                      sum(l.quantity) AS quantity
                 FROM order_lines AS l
                 JOIN orders AS o ON o.id = l.order_id
                WHERE o.status <> 'CANCELLED'
                GROUP BY 1, 2
           ) AS s;

    INSERT INTO reviews (id, product_id, customer_id, rating, title, body, created_at)
    SELECT i,
           1 + i % 600,
           1 + i * 13 % 5000,
           5 - (i * 17 % 11) / 3,
           (ARRAY['Just right', 'As described', 'Smaller than it looks', 'Would buy again'])[1 + i % 4],
           md5('review ' || i),
           opening + i * interval '95 minutes'
      FROM generate_series(1, 6000) AS i;

    INSERT INTO audit_log (id, entity, entity_id, action, details, recorded_by, recorded_at)
    SELECT row_number() OVER (ORDER BY id), 'order', id, 'status changed; by trigger',
           jsonb_build_object('from', 'SHIPPED', 'to', 'DELIVERED'), 'warehouse', placed_at + interval '2 days'
      FROM orders
     WHERE status = 'DELIVERED' AND id > 21000;

    UPDATE coupons AS c
       SET redemptions = (SELECT count(*) FROM orders AS o WHERE o.coupon_id = c.id);

    -- The rows came with their numbers, so the sequences are told where to go on.
    PERFORM setval('customers_id_seq', (SELECT max(id) FROM customers));
    PERFORM setval('addresses_id_seq', (SELECT max(id) FROM addresses));
    PERFORM setval('categories_id_seq', (SELECT max(id) FROM categories));
    PERFORM setval('products_id_seq', (SELECT max(id) FROM products));
    PERFORM setval('coupons_id_seq', (SELECT max(id) FROM coupons));
    PERFORM setval('orders_id_seq', (SELECT max(id) FROM orders));
    PERFORM setval('order_lines_id_seq', (SELECT max(id) FROM order_lines));
    PERFORM setval('payments_id_seq', (SELECT max(id) FROM payments));
    PERFORM setval('shipments_id_seq', (SELECT max(id) FROM shipments));
    PERFORM setval('inventory_movements_id_seq', (SELECT max(id) FROM inventory_movements));
    PERFORM setval('reviews_id_seq', (SELECT max(id) FROM reviews));
    PERFORM setval('audit_log_id_seq', (SELECT max(id) FROM audit_log));

    ANALYZE customers, addresses, categories, products, coupons, orders, order_lines, payments, shipments,
        inventory_movements, reviews, audit_log;
END
$seed$;
