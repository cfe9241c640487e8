"""Speed, measured over HTTP: CPU of the whole process tree, against a floor of the same run."""
