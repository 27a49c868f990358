// What is used of OpenSSL's libcrypto. It is opened when the first file of WhatsApp's is, and not linked: that would cost
// every other command memory (Docs/Decisions/whatsapp-files.md).
#ifndef COFFER_OPENSSL_H
#define COFFER_OPENSSL_H
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#ifdef __APPLE__
#define COFFER_LIBCRYPTO "libcrypto.3.dylib"
#else
#define COFFER_LIBCRYPTO "libcrypto.so.3"
#endif

struct coffer_libcrypto {
    __typeof__(&EVP_CIPHER_CTX_new) context_new;
    __typeof__(&EVP_CIPHER_CTX_free) context_free;
    __typeof__(&EVP_CIPHER_CTX_copy) context_copy;
    __typeof__(&EVP_CIPHER_CTX_ctrl) control;
    __typeof__(&EVP_CipherInit_ex) init;
    __typeof__(&EVP_CipherUpdate) update;
    __typeof__(&EVP_CipherFinal_ex) final;
    __typeof__(&EVP_aes_256_gcm) aes_256_gcm;
    __typeof__(&EVP_aes_256_cbc) aes_256_cbc;
};

/// 1, or 0 if the library is not there or lacks a function.
static inline int coffer_open_libcrypto(struct coffer_libcrypto *functions) {
    void *library = dlopen(COFFER_LIBCRYPTO, RTLD_NOW | RTLD_LOCAL);
    if (!library) return 0;
    __typeof__(&OPENSSL_init_crypto) start = (__typeof__(start))dlsym(library, "OPENSSL_init_crypto");
    functions->context_new = (__typeof__(functions->context_new))dlsym(library, "EVP_CIPHER_CTX_new");
    functions->context_free = (__typeof__(functions->context_free))dlsym(library, "EVP_CIPHER_CTX_free");
    functions->context_copy = (__typeof__(functions->context_copy))dlsym(library, "EVP_CIPHER_CTX_copy");
    functions->control = (__typeof__(functions->control))dlsym(library, "EVP_CIPHER_CTX_ctrl");
    functions->init = (__typeof__(functions->init))dlsym(library, "EVP_CipherInit_ex");
    functions->update = (__typeof__(functions->update))dlsym(library, "EVP_CipherUpdate");
    functions->final = (__typeof__(functions->final))dlsym(library, "EVP_CipherFinal_ex");
    functions->aes_256_gcm = (__typeof__(functions->aes_256_gcm))dlsym(library, "EVP_aes_256_gcm");
    functions->aes_256_cbc = (__typeof__(functions->aes_256_cbc))dlsym(library, "EVP_aes_256_cbc");
    if (!start || !functions->context_new || !functions->context_free || !functions->context_copy ||
        !functions->control || !functions->init || !functions->update || !functions->final ||
        !functions->aes_256_gcm || !functions->aes_256_cbc) return 0;
    // The machine's configuration of OpenSSL does not concern files, and could name modules to load.
    return start(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) == 1;
}
#endif
