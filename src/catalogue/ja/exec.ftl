# アイテムごとに実行するコマンド
exec-not-found = コマンド `{ $command }` が見つかりません。PATH にあるか確認してください
exec-not-executable = `{ $command }` を実行できません。プログラムか、`#!` で始まるスクリプトで、実行権があるか確認してください
exec-cannot-run = コマンドを実行できません。--jobs を減らすか、上限（`ulimit -n`、`ulimit -u`）を大きくしてください
exec-cannot-keep-output = コマンドの出力を { $dir } に保存できません。空きを作るか、TMPDIR で別の場所を指定してください
exec-no-terminal = --tty には端末が必要ですが、端末がありません。--tty を外してください
exec-background = --tty には端末が必要ですが、この消費者はバックグラウンドで動いています。& を付けずに起動してください
exec-item-failed = アイテム { $id } が失敗しました: { $reason }
exec-wants-terminal = アイテム { $id } のコマンドが端末を必要として停止しています。消費者を --tty 付きで起動してください
exec-stopped = アイテム { $id } のコマンドがシグナル { $signal } で停止しています。`kill -CONT -- -{ $group }` で再開できます
exec-halt-failed = { $items } 個のアイテムが失敗しました
exec-halt-succeeded = { $items } 個のアイテムが完了しました
exec-halt-done = { $items } 個のアイテムを処理しました
exec-halt-now = { $cause }。--halt { $rule } により、ほかのコマンドを終了させ、そのアイテムをキューに戻します
exec-halt-soon = { $cause }。--halt { $rule } により、新しいコマンドは始めず、実行中のコマンドの終了を待ちます
