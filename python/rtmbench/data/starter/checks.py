"""What you know of the output of your job. rtmbench calls `check` after each trial."""


def check(inputs, outputs):
    """Each order is emitted once, with its price. Yield a sentence for each thing that is wrong."""
    expected = {order["order"]: order["amount"] * 119 for order in (record.json() for record in inputs)}
    actual = [(order["order"], order["cents"]) for order in (record.json() for record in outputs)]
    if missing := expected.keys() - dict(actual).keys():
        yield f"{len(missing)} of {len(expected)} orders are missing, such as {min(missing)}"
    if repeated := len(actual) - len(dict(actual)):
        yield f"{repeated} orders were emitted again"
    for order, cents in actual:
        if expected.get(order) != cents:
            yield f"order {order} was emitted with {cents}, not {expected.get(order)}"
