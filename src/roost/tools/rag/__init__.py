"""The toolset `rag`: search in documents, by words and by meaning."""
