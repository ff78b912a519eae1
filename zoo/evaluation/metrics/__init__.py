"""One file per metric; `zoo.evaluation.catalogue` lists them."""
