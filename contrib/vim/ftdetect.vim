autocmd BufRead,BufNewFile */apus.conf,*/apus/*.conf setfiletype apus
