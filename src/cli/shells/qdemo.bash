# Completes qdemo in bash.
_qdemo() {
    # Bash splits words at = and :, and replaces only the part behind them. qdemo gets the words as a person sees them.
    local IFS=$'\013' words=() last=-1 line=$COMP_LINE word blank at
    for ((at = 0; at <= COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        blank=${line%%[![:space:]]*}
        line=${line#"$blank"}
        if [[ $at == 0 || -n $blank ]]; then
            last=$((last + 1))
            words[last]=$word
        else
            words[last]+=$word
        fi
        line=${line#"$word"}
    done
    local breaks= prefix=
    [[ $COMP_WORDBREAKS == *=* ]] && breaks+==
    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:
    [[ -n $breaks ]] && prefix=${words[last]%"${words[last]##*[$breaks]}"}
    COMPREPLY=($(_CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$last QDEMO_COMPLETE=bash qdemo -- "${words[@]}" 2> /dev/null))
    for at in "${!COMPREPLY[@]}"; do
        COMPREPLY[at]=${COMPREPLY[at]#"$prefix"}
    done
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2> /dev/null
    fi
}
if ((BASH_VERSINFO[0] > 4 || BASH_VERSINFO[0] == 4 && BASH_VERSINFO[1] >= 4)); then
    complete -o bashdefault -o nosort -F _qdemo qdemo
else
    complete -o bashdefault -F _qdemo qdemo
fi
