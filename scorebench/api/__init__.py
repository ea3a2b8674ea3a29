"""What an author of a plug-in imports, and what all other folders share: types, protocols, registry, errors."""
