# キューの操作が失敗した理由
error-name-empty = キュー名が空です。`jobs` のような名前を付けてください
error-name-too-long = キュー名は { $max } バイトまでですが、{ $bytes } バイトあります。短くしてください
error-name-path = キュー名に `/` と `..` は使えず、先頭に `.` は付けられません。取り除いてください
error-name-control = キュー名に制御文字は使えません。取り除いてください

error-no-home = ホームフォルダーがありません。キューの場所を QDEMO_DIR で指定してください
error-pipe = キューのパイプでエラーが発生しました
error-start = キューのキーパーを起動できません
error-keeper-gone = キューのキーパーが異常終了しました
error-closed = キューは閉じています
error-closed-for-puts = キューは閉じています。アイテムはもう追加できません
error-full = キューは満杯です
error-empty = キューが空です
error-ended = キューは終了しました
error-unfinished = { $items } 個のアイテムがまだ完了していません
error-lease-expired = アイテム { $id } は間に合いませんでした。リースの時間が過ぎ、キューに戻りました
error-encode = アイテムを JSON にできません
error-decode = アイテム { $id } は期待した型ではありません。失敗アイテムになりました
error-not-a-line = アイテムは 1 行の JSON です。改行は \n と書いてください
error-too-large = アイテムが JSON で { $size } バイトあり、上限の { $max } バイトを超えています。分割してください
error-items-lost = 受け付け済みのアイテム { $items } 個をサーバーが失いました。もう一度追加してください
error-stdout-closed = 標準出力の読み手がいなくなりました
error-interrupted = 中断されました
error-keepers-died = キーパーが { $keepers } 回続けてすぐに終了しました
error-no-program = プログラム { $program } がありません。qdemo をインストールするか、main の最初で qdemo::keep_if_asked() を呼び出してください
error-malformed-reply = キーパーの返信 `{ $reply }` はプロトコルのバージョン { $version } のものではありません

error-no-answer = キュー「{ $queue }」のキーパー（プロセス { $process }）が応答しません。`kill -CONT { $process }` で再開するか、`kill -9 { $process }` で終了してください。次のコマンドが新しいキーパーを起動し、受け付け済みのアイテムは失われません
error-no-answer-unknown = キュー「{ $queue }」のキーパーが応答しません。再開するか終了してください。次のコマンドが新しいキーパーを起動し、受け付け済みのアイテムは失われません
error-not-ready = キュー「{ $queue }」のキーパーが起動中（プロセス { $process }）で、まだ準備ができていません。しばらく待つか、停止している場合は `kill -CONT { $process }` で再開するか、`kill -9 { $process }` で終了してください。次のコマンドが新しいキーパーを起動し、受け付け済みのアイテムは失われません
error-not-ready-unknown = キュー「{ $queue }」のキーパーが起動中で、まだ準備ができていません。しばらく待つか、停止している場合は再開するか終了してください。次のコマンドが新しいキーパーを起動し、受け付け済みのアイテムは失われません

error-no-inbox = キーパーの受信用パイプを開けません
error-no-client-key = クライアントの番号を決められません
error-no-client-pipes = クライアントのパイプを作成できません
error-no-lock = キューのフォルダーをロックできません
error-no-working-directory = 作業フォルダーがありません
error-no-server-thread = サーバーとの接続用のスレッドを開始できません

error-cannot-read = { $file } を読み込めません
error-cannot-write = { $file } に書き込めません
error-name-a-file = 既存のフォルダーにあるファイルを指定してください
