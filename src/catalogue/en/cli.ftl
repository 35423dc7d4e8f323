# Errors in arguments and in the environment.
cli-bad-language = write ja or en
cli-bad-language-variable = invalid value '{ $value }' of QDEMO_LANG: write ja or en
