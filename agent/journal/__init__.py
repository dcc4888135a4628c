"""The only place with SQL. `store` owns the file and its one writing thread; the other modules are functions
of a connection that run inside one of its transactions."""
