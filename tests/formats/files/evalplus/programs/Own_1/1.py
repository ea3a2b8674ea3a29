def two():
    x = 2
    return x