//! Every type, value by value, out and back.

use serde_json::json;

use crate::flow::{Step, failure};
use crate::server::Server;

const TYPES: &str = "
create type mood as enum ('sad', 'ok', 'happy ''quoted''');
create domain amount as numeric(12,3) check (value > -1000000);
create domain label as varchar(10);
create type pair as (a int, b text);
create table every (
  id int primary key,
  c_bool bool, c_int2 smallint, c_int4 int, c_int8 bigint, c_float4 real, c_float8 double precision,
  c_dec numeric(15,2), c_dec38 numeric(38,10), c_dec_whole numeric(20,0), c_dec_neg numeric(5,-2), c_dec_small numeric(2,4),
  c_num numeric, c_num_long numeric(60,20),
  c_text text, c_varchar varchar(20), c_char char(5), c_name name, c_bytea bytea,
  c_date date, c_time time, c_ts timestamp, c_tstz timestamptz, c_interval interval,
  c_uuid uuid, c_json json, c_jsonb jsonb, c_enum mood, c_amount amount, c_label label,
  a_int int[], a_text text[], a_num numeric[], a_dec numeric(10,2)[], a_uuid uuid[], a_enum mood[], a_amount amount[],
  a_ts timestamptz[], a_json jsonb[], a_bool bool[], a_bytea bytea[], a_inet inet[],
  u_inet inet, u_money money, u_pair pair, u_range int4range, u_bit bit(5), u_point point, u_timetz timetz, u_oid oid
);
insert into every (id) values (1);
insert into every values (2,
  true, -32768, -2147483648, -9223372036854775808, '-3.4028235e38', '-1.7976931348623157e308',
  -9999999999999.99, -9999999999999999999999999999.9999999999, -99999999999999999999, 99900, 0.0099,
  -1e-1000, 1234567890123456789012345678901234567890.12345678901234567890,
  'žluťoučký kůň 🐎', 'tab\tand \"quote\"', 'ab', 'n', '\\x00ff10',
  '4713-01-01 BC', '00:00:00', '4713-01-01 00:00:00 BC', '0001-01-01 00:00:00+00', '-178000000 years -3 days -00:00:00.000001',
  '00000000-0000-0000-0000-000000000000', '{\"a\": [1, null]}', '{\"b\": \"ž\"}', 'happy ''quoted''', 12.345, 'domain',
  '{1,null,-3}', array['', null, 'a,\"b'], '{1.5,null,NaN}', '{1.25,null}', array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', null]::uuid[],
  '{sad,null}', '{1.5,null}', '{2024-02-29 12:00:00+02,null}', array['{\"x\":1}', null]::jsonb[], '{t,null,f}', array['\\x01', null]::bytea[], '{10.0.0.1,null}',
  '10.1.2.3/24', '-12.34', '(1,two)', '[1,5)', '10101', '(1,2)', '10:00:00+02', 4294967295);
insert into every values (3,
  false, 32767, 2147483647, 9223372036854775807, 'NaN', 'NaN',
  9999999999999.99, 9999999999999999999999999999.9999999999, 99999999999999999999, -100, -0.0001,
  'NaN', 0.00000000000000000001,
  '', '', '', '', '',
  '5874897-12-31', '24:00:00', '294246-12-31 23:59:59.999999', '294246-12-31 23:59:59.999999+00', '0',
  'ffffffff-ffff-ffff-ffff-ffffffffffff', 'null', 'null', 'ok', 0, '',
  '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
  '::1', 0, '(,)', 'empty', '00000', '(-1.5,1e300)', '23:59:59.999999-15:59', 0);
insert into every (id, c_float4, c_float8, c_num, c_dec, c_ts) values
  (4, 'Infinity', '-Infinity', 'Infinity', 0, '2024-02-29 12:34:56.789012'),
  (5, '-0', '-0', '-Infinity', 0.01, '1969-12-31 23:59:59.999999'),
  (6, '1e-45', '5e-324', 123456.789000, 10000.00, '2000-01-01'),
  (7, 1.5, 0.1, 10000, 1, '1970-01-01'),
  (8, null, null, 0.00010000, -0.5, null),
  (9, null, null, 1e200, 123456789.01, null);
";

/// The values as they are expected in Arrow's text form, for one row in full.
#[test]
fn values_arrive_as_they_are() {
    let server = Server::start();
    server.sql(TYPES);
    let read = |columns: &str, id: u32| {
        let query = format!("select {columns} from every where id = {id}");
        Step::new().read(&server.connection(json!({})), json!({"query": query})).unwrap().lines().concat()
    };
    assert_eq!(read("c_bool, c_int2, c_int4, c_int8", 2), "true|-32768|-2147483648|-9223372036854775808");
    assert_eq!(
        read("c_dec, c_dec38, c_dec_whole", 2),
        "-9999999999999.99|-9999999999999999999999999999.9999999999|-99999999999999999999"
    );
    assert_eq!(read("c_dec_neg, c_dec_small", 2), "99900|0.0099");
    assert_eq!(read("c_num", 2), format!("-0.{}1", "0".repeat(999)));
    assert_eq!(read("c_num_long", 2), "1234567890123456789012345678901234567890.12345678901234567890");
    assert_eq!(read("c_num_long, c_num", 3), "0.00000000000000000001|NaN");
    assert_eq!(read("c_num", 6), "123456.789000");
    assert_eq!(read("c_num", 7), "10000");
    assert_eq!(read("c_num", 8), "0.00010000");
    assert_eq!(read("c_text, c_varchar, c_char", 2), "žluťoučký kůň 🐎|tab\tand \"quote\"|ab   ");
    assert_eq!(read("c_bytea, c_uuid", 2), "00ff10|00000000000000000000000000000000");
    assert_eq!(read("c_ts, c_time", 4), "2024-02-29T12:34:56.789012|∅");
    assert_eq!(read("c_ts", 5), "1969-12-31T23:59:59.999999");
    assert_eq!(read("c_tstz", 2), "0001-01-01T00:00:00Z");
    assert_eq!(read("a_int, a_text, a_num", 2), "[1, ∅, -3]|[, ∅, a,\"b]|[1.5, ∅, NaN]");
    assert_eq!(read("a_enum, a_amount, a_inet", 2), "[sad, ∅]|[1.500, ∅]|[10.0.0.1/32, ∅]");
    assert_eq!(
        read("c_json, c_jsonb, c_enum, c_amount, c_label", 2),
        "{\"a\": [1, null]}|{\"b\": \"ž\"}|happy 'quoted'|12.345|domain"
    );
    assert_eq!(read("u_inet, u_pair, u_range, u_bit, u_oid", 2), "10.1.2.3/24|(1,two)|[1,5)|10101|4294967295");
    assert_eq!(read("c_float4, c_float8", 4), "inf|-inf");
}

#[test]
fn the_schema_says_what_the_columns_were() {
    let server = Server::start();
    server.sql(TYPES);
    let step = Step::new();
    let rows = step.read(&server.connection(json!({})), json!({"table": "every", "where": "id = 1"})).unwrap();
    let told: Vec<String> = rows
        .schema
        .fields()
        .iter()
        .map(|field| {
            let word = field.metadata().get("sallyport:type").map(|word| format!(" {word}")).unwrap_or_default();
            format!("{}: {}{word}", field.name(), field.data_type())
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    insta::assert_snapshot!(step.log.lock().unwrap().join("\n"));
    assert_eq!(rows.lines().concat(), format!("1{}", "|∅".repeat(rows.schema.fields().len() - 1)));
}

/// Out of one table and into another like it: the server finds no difference.
#[test]
fn every_value_survives_the_round_trip() {
    let server = Server::start();
    server.sql(TYPES);
    server.sql("create table again (like every including all)");
    let texts = |table: &str| server.sql(&format!("select t::text from {table} t order by id"));
    for tls in ["require", "disable"] {
        let connection = server.connection(json!({"tls": tls}));
        let rows = Step::new().read(&connection, json!({"table": "every"})).unwrap();
        assert_eq!(rows.count(), 9);
        Step::attempt(tls, 1).write(&connection, json!({"table": "again", "mode": "truncate"}), &rows).unwrap();
        assert_eq!(texts("again"), texts("every"), "{tls}");
    }
}

/// Into a table that the sink makes: types as they were, or their nearest.
#[test]
fn a_created_table_takes_every_value() {
    let server = Server::start();
    server.sql(TYPES);
    let step = Step::new();
    let rows = step.read(&server.connection(json!({})), json!({"table": "every"})).unwrap();
    Step::new().write(&server.connection(json!({})), json!({"table": "made", "create": true}), &rows).unwrap();
    let types = server.sql(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'made'::regclass and attnum > 0 order by attnum",
    );
    insta::assert_snapshot!(types);
    let back = Step::new().read(&server.connection(json!({})), json!({"table": "made"})).unwrap();
    assert_eq!(back.lines(), rows.lines());
}

#[test]
fn values_that_have_no_place_are_named() {
    let server = Server::start();
    let read = |query: &str| failure(Step::new().read(&server.connection(json!({})), json!({"query": query})));
    let many =
        "select case when i = 777 then 'infinity'::date else '2024-01-01' end as day from generate_series(1, 1000) i";
    let endless = read(many);
    assert_eq!(endless.code, "bad_value");
    assert!(endless.message.contains("row 777, column `day`: infinity"), "{}", endless.message);
    assert!(read("select '-infinity'::timestamp as t").message.contains("-infinity"));
    assert!(read("select 'NaN'::numeric(5,2) as n").message.contains("NaN"));
    assert!(read("select '{{1},{2}}'::int[] as a").message.contains("2 dimensions"));
    assert!(read("select 1 as a, 2 as a").message.contains("more than once"));
}
