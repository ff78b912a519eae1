"""One file a metric; `zoo.evaluation.catalogue` lists them."""
