//! Writes generated tables.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use tpchgen::csv::LineItemCsv;
use tpchgen::generators::{CustomerGenerator, LineItemGenerator, OrderGenerator};

/// `lineitem` as the specification has it, in PostgreSQL's words.
pub const LINEITEM_DDL: &str = "create table lineitem (l_orderkey bigint not null, l_partkey bigint not null, \
    l_suppkey bigint not null, l_linenumber integer not null, l_quantity numeric(15,2) not null, \
    l_extendedprice numeric(15,2) not null, l_discount numeric(15,2) not null, l_tax numeric(15,2) not null, \
    l_returnflag char(1) not null, l_linestatus char(1) not null, l_shipdate date not null, \
    l_commitdate date not null, l_receiptdate date not null, l_shipinstruct char(25) not null, \
    l_shipmode char(10) not null, l_comment varchar(44) not null)";

/// Makes a database with `customer`, `orders` and `lineitem`; money is in cents, as cautious shops keep it.
pub fn sqlite(path: &Path, scale: f64) -> Result<()> {
    let mut sql = Connection::open(path).with_context(|| format!("making {}", path.display()))?;
    sql.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         CREATE TABLE customer (c_custkey BIGINT PRIMARY KEY, c_name TEXT NOT NULL, c_nationkey INTEGER NOT NULL,
             c_mktsegment TEXT NOT NULL);
         CREATE TABLE orders (o_orderkey BIGINT PRIMARY KEY, o_custkey BIGINT NOT NULL, o_orderstatus TEXT NOT NULL,
             o_totalprice_cents BIGINT NOT NULL, o_orderdate TEXT NOT NULL, o_orderpriority TEXT NOT NULL);
         CREATE TABLE lineitem (l_orderkey BIGINT NOT NULL, l_linenumber INTEGER NOT NULL, l_quantity INTEGER NOT NULL,
             l_extendedprice_cents BIGINT NOT NULL, l_shipmode TEXT NOT NULL, l_comment TEXT NOT NULL);",
    )?;
    let all = sql.transaction()?;
    {
        let mut insert = all.prepare("INSERT INTO customer VALUES (?1, ?2, ?3, ?4)")?;
        for row in CustomerGenerator::new(scale, 1, 1).iter() {
            insert.execute(params![row.c_custkey, row.c_name.to_string(), row.c_nationkey, row.c_mktsegment])?;
        }
        let mut insert = all.prepare("INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for row in OrderGenerator::new(scale, 1, 1).iter() {
            insert.execute(params![
                row.o_orderkey,
                row.o_custkey,
                row.o_orderstatus.to_string(),
                row.o_totalprice.into_inner(),
                row.o_orderdate.to_string(),
                row.o_orderpriority,
            ])?;
        }
        let mut insert = all.prepare("INSERT INTO lineitem VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for row in LineItemGenerator::new(scale, 1, 1).iter() {
            insert.execute(params![
                row.l_orderkey,
                row.l_linenumber,
                row.l_quantity,
                row.l_extendedprice.into_inner(),
                row.l_shipmode,
                row.l_comment,
            ])?;
        }
    }
    all.commit().context("writing the tables")
}

/// Writes `lineitem` as CSV with a header; gives the number of rows.
pub fn write_lineitem_csv(out: &mut impl Write, scale: f64) -> Result<u64> {
    let mut rows = 0;
    writeln!(out, "{}", LineItemCsv::header())?;
    for row in LineItemGenerator::new(scale, 1, 1).iter() {
        writeln!(out, "{}", LineItemCsv::new(row))?;
        rows += 1;
    }
    Ok(rows)
}
