/* Empty: cffi knows these types by name. */
