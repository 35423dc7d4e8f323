# `qdemo sweep` の値、表、図
sweep-not-vary = 変化させるものとして読み取れません。consumers=1..10 や consumer-delay=100ms..950ms:10 のように 名前=範囲 の形で指定してください
sweep-similar-parameter = '{ $name }' は変化させられません。{ $known } と指定してください
sweep-unknown-parameter = '{ $name }' は変化させられません。{ $names } のいずれかを指定してください
sweep-backwards = 範囲の終わりが始まりより前にあります。小さいほうを先に書いてください
sweep-not-increasing = 値の列が昇順ではありません。小さい順に、重複なしで並べてください
sweep-no-points = 0 点では何も計算できません。コロンの後に 2 以上を指定してください
sweep-one-point = 1 点では範囲の両端を含められません。コロンの後に 2 以上を指定するか、値を 1 つだけ書いてください
sweep-many-points = 点が多すぎます。capacity=1..1000000:10 のように { $max } 点以下にしてください
sweep-few-values = この範囲にはそれほど多くの値がありません。コロンの後を { $count } 以下にしてください
sweep-open-count = 点の数がありません。10 点なら 100ms..1s:10 のように指定してください
sweep-no-capacity = 容量 0 は無制限を意味し、軸上に置けません。1 以上を指定してください
sweep-zero-mean = ランダムな { $name } の平均を 0 にはできません。範囲を 0 より大きい値から始めてください
sweep-only-zeros = { $name } は常に 0（{ $delay }）のため、平均を変えられません。--{ $name } exp:1s のように 0 でない遅延を指定してください
sweep-only-warmup = --warmup { $warmup } では { $items } 個のアイテムがすべて除外されます。--items を増やすか、--warmup を減らしてください
sweep-out-of-time = { $setting } の実行が 584 年を超えます。遅延を短くするか、--items を減らしてください
sweep-theory = 理論値
sweep-theory-bound = 理論値（上界）
sweep-runs = 各点で { $items } 個のアイテムを { $replications } 回シミュレーション（最初の { $warmup } 個は除外）、乱数の種 { $seed }
sweep-student = ±: 95% 信頼区間の半幅（各点の実行を標本とする Student の t 分布による）
sweep-batch-means = ±: 95% 信頼区間の半幅（1 回の実行を { $batches } 個に分けるバッチ平均法）
sweep-correlated = { $points } 点で、隣り合うバッチの間に相関があります。信頼区間が狭すぎるおそれがあるので、--replications を 2 以上にするか、--items を増やしてください。
sweep-no-interval = アイテムが少なく、1 回の実行からは信頼区間を求められません。--items を増やすか、--replications を 2 以上にしてください
sweep-no-theory = この条件には、待ち行列理論の公式がありません。
sweep-overload = ∞: 過負荷です。実行が続く限りキューは深くなるため、∞ の上の値は --items によって変わります
sweep-title = qdemo sweep: { $metric }（{ $parameter }）
sweep-mean-of = { $parameter } の平均
sweep-measured = シミュレーション（95% 信頼区間つき）
sweep-measured-alone = シミュレーション
sweep-overloaded = 過負荷（実行が続く限り増加）
