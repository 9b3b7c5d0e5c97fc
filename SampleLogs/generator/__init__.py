"""The sample day: a small cloud tenant's logs in native formats, with an attack story planted in them."""
