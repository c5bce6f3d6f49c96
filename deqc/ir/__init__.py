"""The intermediate representation: a typed graph of ops, with what each stage of a solve may read."""
