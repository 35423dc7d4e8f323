# 引数と環境変数の誤り
cli-bad-language = ja か en を指定してください
cli-bad-language-variable = QDEMO_LANG の値 '{ $value }' は無効です: ja か en を指定してください

cli-see-help = { $cause }: 使い方は `qdemo { $command } --help` で確認できます
cli-see-commands = { $cause }: 使い方は `qdemo --help` で確認できます
cli-no-such-command = コマンド `{ $command }` はありません: `qdemo --help` でコマンドの一覧を表示します
cli-local-command = `qdemo { $command }` のキューは常にこのマシンにあり、サーバーは使えません: --server を外してください
cli-missing-dashes = 引数 '{ $argument }' は指定できません: アイテムごとに実行するコマンドの前には `qdemo consumer -- { $argument } …` のように -- を書いてください
cli-option-before-command = 引数 '{ $argument }' はコマンドの前には指定できません: `qdemo put --queue jobs` のように、コマンドの後に指定してください
cli-unknown-argument = 引数 '{ $argument }' は指定できません
cli-similar-argument = 引数 '{ $argument }' は指定できません。もしかして '{ $known }' ですか
cli-unknown-command = コマンド `{ $name }` はありません
cli-similar-command = コマンド `{ $name }` はありません: もしかして `qdemo { $known }` ですか
cli-missing-value = '{ $argument }' には値が必要です
cli-invalid-choice = '{ $argument }' の値 '{ $value }' は無効です: 次のいずれかを指定してください: { $values }
cli-invalid-value = '{ $argument }' の値 '{ $value }' は無効です: { $reason }
cli-repeated-argument = 引数 '{ $argument }' は 1 回しか指定できません
cli-conflict = 引数 '{ $argument }' と '{ $other }' は同時に指定できません
cli-missing-argument = 必要な引数がありません: { $argument }
cli-number-of-values = 引数 '{ $argument }' の値の個数が正しくありません
cli-not-utf8 = UTF-8 でない引数があります
cli-invalid-arguments = 引数が正しくありません
cli-bad-variable = { $variable } の値 '{ $value }' は無効です: { $reason }
cli-variable-not-utf8 = UTF-8 ではありません
cli-no-server = { $option } はサーバー上のキューのためのオプションです: --server URL または QDEMO_SERVER を指定してください
