"""Kafka's client settings, properties files and topics, for the harness and the engines."""
