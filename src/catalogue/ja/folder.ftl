# キューのフォルダーと、その中のファイルとパイプ
folder-io = フォルダー { $path } を使えません
folder-symlink = { $path } はシンボリックリンクです。実際のフォルダーを指定してください
folder-not-a-directory = { $path } はフォルダーではありません。別の場所に移すか、QDEMO_DIR で別のフォルダーを指定してください
folder-wrong-owner = { $path } の所有者が別のユーザー（{ $user }）です。QDEMO_DIR で別のフォルダーを指定してください
folder-writable = { $path } にほかのユーザーも書き込めます。`chmod go-w` を実行するか、QDEMO_DIR で別のフォルダーを指定してください
folder-accessible = { $path } にほかのユーザーもアクセスできます（モード { $mode }）。`chmod 700` を実行してください
folder-no-inbox = 受信用のパイプ { $path } を作成できません: { $error }
folder-not-removed = { $path } を削除できません: { $error }
folder-lock-failed = スレッドが異常終了しました
folder-write-split = カーネルが PIPE_BUF バイトの書き込みを分割しました

folder-journal-unusable = ジャーナル { $path } を使えません
folder-journal-version = { $path } はこのバージョンの qdemo のジャーナルではありません。書き込んだバージョンを使うか、`qdemo rm --force` でキューを削除してください
folder-journal-outdated = ジャーナルが以前のバージョンの形式です
folder-newer-state = { $path } は新しいバージョンの qdemo が書き込んだファイルです。そのバージョンを使ってください
