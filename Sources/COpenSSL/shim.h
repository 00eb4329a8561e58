// What Swift cannot see of OpenSSL: macros and casts, one line each; and two key sources made of deprecated calls.
#pragma once
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// options of contexts
static inline void openssl_set_options(SSL_CTX *ctx, unsigned long options) { SSL_CTX_set_options(ctx, options); }
#define OPENSSL_NO_SSLv3 (1ul << 25)
#define OPENSSL_NO_TLSv1 (1ul << 26)
#define OPENSSL_NO_TLSv1_1 (1ul << 28)
#define OPENSSL_NO_TLSv1_2 (1ul << 27)
#define OPENSSL_NO_TLSv1_3 (1ul << 29)
#define OPENSSL_NO_TICKET (1ul << 14)
#define OPENSSL_NO_COMPRESSION (1ul << 17)
#define OPENSSL_NO_RENEGOTIATION (1ul << 30)
#define OPENSSL_IGNORE_UNEXPECTED_EOF (1ul << 7)
#define OPENSSL_CIPHER_SERVER_PREFERENCE (1ul << 22)
_Static_assert(OPENSSL_NO_SSLv3 == SSL_OP_NO_SSLv3, "SSL_OP_NO_SSLv3");
_Static_assert(OPENSSL_NO_TLSv1 == SSL_OP_NO_TLSv1, "SSL_OP_NO_TLSv1");
_Static_assert(OPENSSL_NO_TLSv1_1 == SSL_OP_NO_TLSv1_1, "SSL_OP_NO_TLSv1_1");
_Static_assert(OPENSSL_NO_TLSv1_2 == SSL_OP_NO_TLSv1_2, "SSL_OP_NO_TLSv1_2");
_Static_assert(OPENSSL_NO_TLSv1_3 == SSL_OP_NO_TLSv1_3, "SSL_OP_NO_TLSv1_3");
_Static_assert(OPENSSL_NO_TICKET == SSL_OP_NO_TICKET, "SSL_OP_NO_TICKET");
_Static_assert(OPENSSL_NO_COMPRESSION == SSL_OP_NO_COMPRESSION, "SSL_OP_NO_COMPRESSION");
_Static_assert(OPENSSL_NO_RENEGOTIATION == SSL_OP_NO_RENEGOTIATION, "SSL_OP_NO_RENEGOTIATION");
_Static_assert(OPENSSL_IGNORE_UNEXPECTED_EOF == SSL_OP_IGNORE_UNEXPECTED_EOF, "SSL_OP_IGNORE_UNEXPECTED_EOF");
_Static_assert(OPENSSL_CIPHER_SERVER_PREFERENCE == SSL_OP_CIPHER_SERVER_PREFERENCE, "server preference");
static inline void openssl_set_mode(SSL_CTX *ctx, long mode) { SSL_CTX_set_mode(ctx, mode); }
static inline void openssl_set_read_ahead(SSL_CTX *ctx) { SSL_CTX_set_read_ahead(ctx, 1); }
static inline int openssl_set_version_range(SSL_CTX *ctx, int low, int high) {
    return SSL_CTX_set_min_proto_version(ctx, low) && SSL_CTX_set_max_proto_version(ctx, high);
}
// Certificates are compressed once, when they are loaded; those of clients are never taken compressed.
// 0: it was asked for, and this library cannot do it (OpenSSL has it since 3.2, with an algorithm compiled in).
static inline int openssl_compress_certificates(SSL_CTX *ctx, int enable) {
#ifdef SSL_OP_NO_TX_CERTIFICATE_COMPRESSION
    SSL_CTX_set_options(ctx, SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
    if (!enable) return 1;
    if (!SSL_CTX_compress_certs(ctx, 0)) return 0;
    SSL_CTX_clear_options(ctx, SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
    return 1;
#else
    (void)ctx;
    return !enable;
#endif
}
static inline int openssl_set_groups(SSL_CTX *ctx, const char *list) { return SSL_CTX_set1_curves_list(ctx, list); }
static inline int openssl_ssl_session_index(void) { return SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL); }
static inline int openssl_context_index(void) { return SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL); }
static inline int openssl_reusable(SSL *ssl) { return SSL_session_reused(ssl); }
static inline int openssl_options_without_tickets(const SSL *ssl) { return (SSL_get_options(ssl) & SSL_OP_NO_TICKET) != 0; }
static inline const char *openssl_server_name(const SSL *ssl) {
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
}
static inline int openssl_request_server_name(SSL *ssl, char *name) { return SSL_set_tlsext_host_name(ssl, name); }

// session cache
static inline void openssl_set_cache_mode(SSL_CTX *ctx, long mode) { SSL_CTX_set_session_cache_mode(ctx, mode); }
static inline void openssl_set_cache_size(SSL_CTX *ctx, long count) { SSL_CTX_sess_set_cache_size(ctx, count); }

// certificates
static inline int openssl_set_chain(SSL_CTX *ctx, STACK_OF(X509) *chain) { return SSL_CTX_set1_chain(ctx, chain); }
static inline STACK_OF(X509) *openssl_chain_new(void) { return sk_X509_new_null(); }
static inline int openssl_chain_add(STACK_OF(X509) *chain, X509 *certificate) { return sk_X509_push(chain, certificate); }
static inline void openssl_chain_free(STACK_OF(X509) *chain) { sk_X509_free(chain); }
static inline STACK_OF(X509_NAME) *openssl_names_new(void) { return sk_X509_NAME_new_null(); }
static inline int openssl_names_add(STACK_OF(X509_NAME) *names, const X509_NAME *name) {
    X509_NAME *copy = X509_NAME_dup(name);
    return copy != NULL && sk_X509_NAME_push(names, copy) > 0;
}
static inline void openssl_set_crl_check(X509_STORE *store) {
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}
static inline long openssl_memory(BIO *bio, char **start) { return BIO_get_mem_data(bio, start); }
static inline int openssl_rewind(BIO *bio) { return BIO_reset(bio); }
static inline int openssl_bio_at_end(BIO *bio) { return BIO_eof(bio); }
static inline unsigned long openssl_name_format(void) { return XN_FLAG_RFC2253; }
static inline void openssl_free(void *pointer) { OPENSSL_free(pointer); }

// errors
static inline int openssl_error_library(unsigned long code) { return ERR_GET_LIB(code); }
static inline int openssl_error_reason(unsigned long code) { return ERR_GET_REASON(code); }
static inline unsigned long openssl_next_error(const char **data, int *has_text) {
    int flags = 0;
    unsigned long code = ERR_get_error_all(NULL, NULL, NULL, data, &flags);
    *has_text = (flags & ERR_TXT_STRING) != 0;
    return code;
}

// tickets
static inline int openssl_set_ticket_callback(
    SSL_CTX *ctx, int (*callback)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int)) {
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, callback);
}
static inline int openssl_mac_sha256(EVP_MAC_CTX *mac, const unsigned char *key, size_t length) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, length),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters);
}

// Keys that are not in a PEM file. `call` names the call that failed.
static inline EVP_PKEY *openssl_engine_key(const char *engine_name, const char *key_name, const char **call) {
    ENGINE *engine = ENGINE_by_id(engine_name);
    if (engine == NULL) { *call = "ENGINE_by_id() failed"; return NULL; }
    if (ENGINE_init(engine) != 1) { *call = "ENGINE_init() failed"; ENGINE_free(engine); return NULL; }
    EVP_PKEY *key = ENGINE_load_private_key(engine, key_name, NULL, NULL);
    if (key == NULL) *call = "ENGINE_load_private_key() failed";
    ENGINE_finish(engine);
    ENGINE_free(engine);
    return key;
}
static inline EVP_PKEY *openssl_store_key(const char *uri, pem_password_cb *passwords, void *user, const char **call) {
    UI_METHOD *method = UI_UTIL_wrap_read_pem_callback(passwords, 0);
    OSSL_STORE_CTX *store = method == NULL ? NULL : OSSL_STORE_open(uri, method, user, NULL, NULL);
    EVP_PKEY *key = NULL;
    if (store == NULL) *call = "OSSL_STORE_open() failed";
    while (store != NULL && key == NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info == NULL) continue;
        if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY) key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    if (store != NULL && key == NULL) *call = "OSSL_STORE_load() failed";
    if (store != NULL) OSSL_STORE_close(store);
    if (method != NULL) UI_destroy_method(method);
    return key;
}
