autocmd BufNewFile,BufRead /etc/apus/*.conf,apus.conf setfiletype apus
