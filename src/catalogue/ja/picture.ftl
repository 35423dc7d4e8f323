# 実行の図
picture-working = 生産中・処理中
picture-producing = 生産中
picture-processing = 処理中
picture-waiting = 待機中
picture-blocked = 空き待ち
picture-dead = 異常終了
picture-put = 追加
picture-delivery = 受け渡し
picture-depth = キューの深さ
picture-capacity = 容量 { $capacity }
picture-title = qdemo: 生産者 { $producers }、消費者 { $consumers }、アイテム { $items } 個、{ $end }
picture-overview = 1 列は { $column }。{ $shown ->
    [0] 待ち時間がこの幅より短いため、矢印はありません
   *[other] 矢印は受け渡し { $delivered } 回のうち、区間ごとに最も長く待った { $shown } 回
 }
picture-mean-depth = キューの深さ 平均 { $mean }（{ $min }～{ $max }）
picture-delivery-tip = { $arrow }（キューで { $time }）
picture-redelivery-tip = { $arrow }（キューで { $time }、{ $attempt } 回目）
picture-items-put = { $items } 個を追加
picture-items-got = { $items } 個を取得
picture-item = { $id } 番目のアイテム
picture-items = 生産中・処理中（色はアイテムごと）
picture-redelivery = 再配信
picture-unpaced = 時間調整なし: 遅延のない実行のため、最初のイベントからの実時間です

# 図のページで説明する実行のイベント
picture-event-put = { $worker }が{ $item }を追加しました
picture-event-late-put = { $worker }が{ $time }の空き待ちの後、{ $item }を追加しました
picture-event-get = { $worker }が{ $item }を取得しました
picture-event-get-again = { $worker }が{ $item }を取得しました（{ $attempt } 回目）
picture-event-done = { $worker }が{ $item }の処理を完了しました
picture-event-back = { $item }が待機中に戻りました
picture-event-died = { $worker }が異常終了しました
picture-event-restart = { $worker }が再起動しました
picture-event-left = { $worker }が終了しました
picture-event-clear = 待機中のアイテムをすべて破棄しました
picture-event-end = すべてのプロセスが終了しました

# 図のページ
picture-page-view = 実行の図
picture-page-first = 最初のイベント
picture-page-previous = 前のイベント
picture-page-next = 次のイベント
picture-page-last = 最後のイベント
picture-page-closer = 拡大
picture-page-wider = 縮小
picture-page-whole = 全体を表示
picture-page-ready = 待機中
picture-page-in-flight = 処理中
picture-page-done = 完了
picture-page-none = なし
picture-page-start = ◀ ▶ か図の上で、イベントを 1 つずつ選べます。
picture-page-help = <kbd>←</kbd> <kbd>→</kbd> イベント移動、<kbd>Home</kbd> <kbd>End</kbd> 最初・最後、<kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> 拡大・縮小・全体、<kbd>Shift</kbd> <kbd>←</kbd> <kbd>→</kbd> 表示範囲の移動、<kbd>Esc</kbd> 選択解除。ホイール（スクロールできるページでは <kbd>Ctrl</kbd>＋ホイール）で拡大・縮小、ドラッグで移動できます。
picture-page-help-touch = 図をタップするとイベントを選べます。2 本の指で拡大・縮小、ドラッグで移動できます。
