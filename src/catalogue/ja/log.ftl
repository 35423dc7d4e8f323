# run、producer、consumer のログ行
log-item-name = アイテム
log-producer = 生産者
log-consumer = 消費者
log-worker = { $role }{ $index }

log-put = { $worker }: { $item } を追加しました
log-delivered = { $worker }: { $item } を取得しました
log-delivered-again = { $worker }: { $item } を取得しました（{ $attempt } 回目）
log-requeued = { $worker }: { $item } がキューに戻りました（次は { $attempt } 回目）
log-killed = { $worker }: 異常終了しました（シグナル { $signal }）
log-failed = { $worker }: 異常終了しました（終了コード { $code }）
log-died = { $worker }: 異常終了しました
log-restarted = { $worker }: 再起動しました
log-finished = すべてのプロセスが終了しました
