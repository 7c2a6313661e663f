"""The activations, optimizers and execution modes that a spec can name."""

ACTIVATIONS = (
    "relu",
    "tanh",
    "sigmoid",
    "elu",
    "selu",
    "gelu",
    "leaky_relu",
    "swish",
    "softplus",
    "linear",
)
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad")
EXECUTIONS = ("auto", "xla", "graph", "eager")
