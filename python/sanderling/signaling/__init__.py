"""The signalling protocol, without input or output: messages, their codec and the client's state machine."""
