"""Other ways from PostgreSQL to files and back, written as their documents advise for large tables."""

import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet


def adbc(url):
    import adbc_driver_postgresql.dbapi

    return adbc_driver_postgresql.dbapi.connect(url)


def plain(reader):
    """ADBC gives numeric as a text of its own kind, which no file format knows: the text itself is what files take."""
    def storage(field):
        kind = field.type
        return pa.field(field.name, kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind)

    schema = pa.schema([storage(field) for field in reader.schema])

    def batches():
        for batch in reader:
            columns = [getattr(column, "storage", column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return schema, batches()


def adbc_csv(url, path):
    with adbc(url) as connection, connection.cursor() as cursor:
        cursor.execute("select * from lineitem")
        schema, batches = plain(cursor.fetch_record_batch())
        with pa.csv.CSVWriter(path, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)


def adbc_parquet(url, path):
    with adbc(url) as connection, connection.cursor() as cursor:
        cursor.execute("select * from lineitem")
        schema, batches = plain(cursor.fetch_record_batch())
        with pa.parquet.ParquetWriter(path, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)


def connectorx_read(url, **partitions):
    import connectorx

    return connectorx.read_sql(url, "select * from lineitem", return_type="arrow", **partitions)


def connectorx_read_2(url):
    return connectorx_read(url, partition_on="l_orderkey", partition_num=2)


def connectorx_csv(url, path):
    pa.csv.write_csv(connectorx_read(url), path)


def connectorx_2_csv(url, path):
    pa.csv.write_csv(connectorx_read_2(url), path)


def connectorx_parquet(url, path):
    pa.parquet.write_table(connectorx_read(url), path)


def connectorx_2_parquet(url, path):
    pa.parquet.write_table(connectorx_read_2(url), path)


def adbc_import(url, path):
    money = pa.decimal128(15, 2)
    types = {
        "l_orderkey": pa.int64(), "l_partkey": pa.int64(), "l_suppkey": pa.int64(), "l_linenumber": pa.int32(),
        "l_quantity": money, "l_extendedprice": money, "l_discount": money, "l_tax": money,
        "l_shipdate": pa.date32(), "l_commitdate": pa.date32(), "l_receiptdate": pa.date32(),
    }
    reader = pa.csv.open_csv(path, convert_options=pa.csv.ConvertOptions(column_types=types))
    with adbc(url) as connection:
        with connection.cursor() as cursor:
            cursor.adbc_ingest("lineitem_in", reader, mode="append")
        connection.commit()


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2], sys.argv[3])
