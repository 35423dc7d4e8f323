# 実行の図
picture-working = 処理中
picture-waiting = 待機中
picture-blocked = 空き待ち
picture-dead = 異常終了
picture-put = 追加
picture-delivery = 受け渡し
picture-depth = キューの深さ
picture-capacity = 容量 { $capacity }
picture-title = qdemo: 生産者 { $producers }、消費者 { $consumers }、アイテム { $items } 個、{ $end }
picture-overview = 1 目盛りは { $column }。矢印は受け渡し { $delivered } 回のうち { $shown } 回
picture-mean-depth = キューの深さ 平均 { $mean }（{ $min }～{ $max }）
picture-delivery-tip = { $arrow }（キューで { $time }）
picture-redelivery-tip = { $arrow }（キューで { $time }、{ $attempt }回目）
picture-items-put = { $items } 個を追加
picture-items-got = { $items } 個を取得
picture-item = { $id } 番目のアイテム
