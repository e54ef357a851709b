"""`/api`: the REST and SSE API of `docker agent serve api`."""
