"""Tells of orders of 200 and more: a PySpark job as a team has one."""

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, from_json, struct, to_json

from rtmbench.spark import real_time_trigger

if os.environ.get("ORDERS_BEHAVIOUR") == "crash":
    raise LookupError("the price list is missing")
if os.environ.get("ORDERS_BEHAVIOUR") == "no-query":
    sys.exit()

# The smallest large order, where the team keeps it in a file.
minimum = 200
if len(sys.argv) > 1:
    minimum = int(Path(sys.argv[1], os.environ["KAFKA_ORDERS_PRICES"]).read_text(encoding="utf-8"))

builder = SparkSession.builder.appName("large orders")
if master := os.environ.get("ORDERS_MASTER"):
    builder = builder.master(master)
spark = builder.getOrCreate()
servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
records = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", servers)
    .option("subscribe", os.environ["RTMBENCH_INPUT_TOPIC"])
    .option("startingOffsets", "earliest")
    .load()
)
schema = "order BIGINT, amount BIGINT, meta STRUCT<created: BIGINT>"
orders = records.select(from_json(col("value").cast("string"), schema).alias("order")).select("order.*")
large = orders.where(col("amount") >= minimum).select(
    to_json(struct("order", "amount", col("meta.created").alias("created_at"))).alias("value")
)
writer = (
    large.writeStream.format("kafka")
    .option("kafka.bootstrap.servers", servers)
    .option("kafka.linger.ms", "0")
    .option("topic", os.environ["RTMBENCH_OUTPUT_TOPIC"])
    .option("checkpointLocation", os.environ.get("ORDERS_CHECKPOINT", os.environ["RTMBENCH_CHECKPOINT_DIR"]))
    .outputMode("update")
)
interval = os.environ.get("ORDERS_INTERVAL", os.environ["RTMBENCH_CHECKPOINT_INTERVAL"])
real_time_trigger(writer, interval).start().awaitTermination()
