# run --format trace の行と列
trace-parent = 親プロセス

trace-put = { $item } を追加
trace-got = { $item } を取得
trace-done = { $item } の処理を完了
trace-requeued = { $item } がキューに復帰
trace-waits-for-room = 空き待ち
trace-waits-for-item = 待機中
trace-died = 異常終了
trace-restarted = 再起動
trace-left = 終了
trace-sentinel-put = 番兵を追加
trace-sentinel-taken = 番兵を取得
trace-cleared = キュー内のアイテムを破棄
trace-finished = 全プロセスが終了

trace-note = { $text }（{ $note }）
trace-two-notes = { $text }（{ $first }、{ $second }）
trace-waited-for-room = 空き待ち { $time }
trace-waited-for-item = 待機 { $time }
trace-attempt = { $attempt } 回目
trace-signal = シグナル { $signal }
trace-exit-code = 終了コード { $code }

trace-depth = 深さ { $depth }
