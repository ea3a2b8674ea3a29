"""A task and a method for scorebench, in a package of their own. docs/tasks.md and docs/methods.md go through them."""
