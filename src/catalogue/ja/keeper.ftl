# 起動できない、または続けられないキーパーの知らせ
keeper-no-folder = キューのフォルダーが削除されました
keeper-no-mailbox = クライアントの受信用パイプを開けません
keeper-journal-failed = キューのジャーナルに書き込めません
keeper-upgrade-failed = 以前のバージョンの qdemo が書いたキューのジャーナルを書き直せません（アイテムはすべて残っています）
keeper-one-pipe = クライアントの 2 本のパイプが同じものです
