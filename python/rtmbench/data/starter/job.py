"""Adds the price with tax to each order. Replace it with your own job."""

import os

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, from_json, struct, to_json

from rtmbench.spark import real_time_trigger

spark = SparkSession.builder.appName("orders").getOrCreate()
servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
records = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", servers)
    .option("subscribe", os.environ["RTMBENCH_INPUT_TOPIC"])
    .option("startingOffsets", "earliest")
    .load()
)
schema = "order BIGINT, customer STRING, amount BIGINT, created_at BIGINT"
orders = records.select("key", from_json(col("value").cast("string"), schema).alias("order")).select("key", "order.*")
# rtmbench knows by its time stamp, `created_at`, which event an output belongs to.
taxed = orders.select(
    "key", to_json(struct("order", "customer", (col("amount") * 119).alias("cents"), "created_at")).alias("value")
)
writer = (
    taxed.writeStream.format("kafka")
    .option("kafka.bootstrap.servers", servers)
    .option("topic", os.environ["RTMBENCH_OUTPUT_TOPIC"])
    .option("checkpointLocation", os.environ["RTMBENCH_CHECKPOINT_DIR"])
    .outputMode("update")
)
real_time_trigger(writer, os.environ["RTMBENCH_CHECKPOINT_INTERVAL"]).start().awaitTermination()
