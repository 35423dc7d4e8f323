# 引数と環境変数の誤り
cli-bad-language = ja か en を指定してください
cli-bad-language-variable = QDEMO_LANG の値 '{ $value }' は無効です: ja か en を指定してください
