# `qdemo bench` の表、棒グラフ、通知
bench-cores = { $cores } コア
bench-rounds = { $rounds ->
    [1] 測定 1 回
   *[other] { $rounds } 回の測定の中央値
 }
bench-size = 大きさ
bench-workers = ワーカー
bench-rate = 個/秒
bench-spread = ばらつき
bench-bytes = バイト/秒
bench-of-limit = 限界比
bench-limit = 限界
bench-latency-note = p50、p99: あるプロセスの put から別のプロセスの get まで（1 組あたり 1 個ずつ）
bench-limit-note = 限界: 同じバイト列を、書き手、中継、読み手が 2 本の名前付きパイプで受け渡す場合
bench-case = { $size }、{ $producers } × { $consumers }
bench-idle-case = { $size }、{ $producers } × { $consumers } と待機 { $idle }
bench-relay-case = { $size }、中継のみ
bench-python-case = { $size }、Python の { $producers } × { $consumers }
bench-more-cases = { $case } ほか { $more } 件
bench-wide-spread = 測定値のばらつきが ±25 % を超えています（{ $cases }）: ほかの処理が動いているようです。空いているときに測り直すか、--rounds を増やしてください
bench-rate-title = 1 秒あたりの個数（目盛り線ごとに 10 倍）
bench-latency-title = プロセス間の受け渡し時間: 中央値と 99 パーセンタイル
bench-idle-series = qdemo { $producers } × { $consumers }、待機 { $idle }
bench-relay-series = 限界: 2 本の名前付きパイプによる中継のみ
bench-left-out = qdemo: 測定できない項目: { $what }: { $reason }
bench-wide-pipes = 本来の容量のパイプ
bench-narrow-pipes = このユーザーのパイプが多く、容量は本来の { $percent }% まで減ります。測定値は容量の小さいパイプのものです。ほかのパイプを閉じるか、ワーカーを減らすか、/proc/sys/fs/pipe-user-pages-soft を大きくしてください
bench-large-items = { $bytes } バイトを超えるアイテム
bench-little-memory = メモリーが { $needed } MiB 必要ですが、空きは { $free } MiB です
bench-python-failed = python3 で実行できません: { $reason }
bench-python-silent = 理由を示さずに失敗しました
bench-python-missing = PATH に python3 がありません。インストールしてください
bench-python-unstartable = python3 を起動できません: { $cause }
bench-no-python = python3 を起動できません
bench-no-program = このプログラムを起動できません
bench-no-directory = フォルダーを作成できません
bench-no-pipe = 名前付きパイプを作成できません
bench-no-script = スクリプトを書き込めません
bench-no-item = { $time } ms の間にアイテムが 1 つも届きませんでした
bench-no-answer = プロセスが { $time } 秒間応答しません
bench-died = プロセスが異常終了しました
bench-invalid-report = プロセスから正しくない報告が届きました
bench-idle-left = 待機中のクライアントがいなくなりました
bench-interrupted = 中断されました
bench-open-files = `qdemo bench` には { $needed } 個のファイルを開く必要がありますが、上限は { $limit } です。`ulimit -n` を大きくしてください
