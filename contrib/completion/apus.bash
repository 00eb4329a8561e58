# Completion for apus and apusctl, for bash.

_apus() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    case "$before" in
        -s) COMPREPLY=($(compgen -W "stop quit reload reopen upgrade" -- "$word")) ;;
        --manual) COMPREPLY=($(compgen -W "markdown man" -- "$word")) ;;
        -c) COMPREPLY=($(compgen -f -- "$word")) ;;
        -e) COMPREPLY=($(compgen -f -W stderr -- "$word")) ;;
        -p) COMPREPLY=($(compgen -d -- "$word")) ;;
        -g) COMPREPLY=() ;;
        *) COMPREPLY=($(compgen -W "-h -v -V -t -T -q -s -w -p -e -c -g --manual" -- "$word")) ;;
    esac
}

_apusctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    case "$before" in
        --socket | -c) COMPREPLY=($(compgen -f -- "$word")) ;;
        -p) COMPREPLY=($(compgen -d -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "status reload upgrade reopen quit stop --json --wait --socket -c -p --help --version" -- "$word")) ;;
    esac
}

complete -o filenames -F _apus apus
complete -o filenames -F _apusctl apusctl
