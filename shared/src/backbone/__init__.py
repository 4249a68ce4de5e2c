import backbone.first_process  # noqa: F401 - before whatever takes long to import
