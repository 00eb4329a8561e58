// What Swift cannot see of OpenSSL: macros and casts, one line each.
#pragma once
#include <openssl/ssl.h>
#include <openssl/err.h>
