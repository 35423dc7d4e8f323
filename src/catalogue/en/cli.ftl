# Errors in arguments and in the environment.
cli-bad-language = write ja or en
cli-bad-language-variable = invalid value '{ $value }' of QDEMO_LANG: write ja or en

cli-see-help = { $cause }: `qdemo { $command } --help` shows what is valid
cli-see-commands = { $cause }: `qdemo --help` shows what is valid
cli-no-such-command = there is no command `{ $command }`: `qdemo --help` lists all commands
cli-local-command = `qdemo { $command }` has its queue on this machine, never on a server: leave --server out
cli-missing-dashes = unexpected argument '{ $argument }': write -- before the command for the items, as in `qdemo consumer -- { $argument } …`
cli-option-before-command = unexpected argument '{ $argument }' before the command: write options behind it, as in `qdemo put --queue jobs`
cli-unknown-argument = unexpected argument '{ $argument }' found
cli-similar-argument = unexpected argument '{ $argument }' found; did you mean '{ $known }'?
cli-unknown-command = there is no command `{ $name }`
cli-similar-command = there is no command `{ $name }`: did you mean `qdemo { $known }`?
cli-missing-value = a value is required for '{ $argument }' but none was given
cli-invalid-choice = invalid value '{ $value }' for '{ $argument }': write one of { $values }
cli-invalid-value = invalid value '{ $value }' for '{ $argument }': { $reason }
cli-repeated-argument = the argument '{ $argument }' cannot be used multiple times
cli-conflict = the argument '{ $argument }' cannot be used with '{ $other }'
cli-missing-argument = these arguments are missing: { $argument }
cli-number-of-values = the argument '{ $argument }' has the wrong number of values
cli-not-utf8 = an argument is not UTF-8
cli-invalid-arguments = the arguments are not valid
cli-bad-variable = invalid value '{ $value }' of { $variable }: { $reason }
cli-variable-not-utf8 = it is not UTF-8
cli-no-server = { $option } is for a queue on a server: give --server URL, or set QDEMO_SERVER
