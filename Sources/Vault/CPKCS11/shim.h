// PKCS #11 2.40 as p11-kit's header has it: types and numbers alone. A token's own module is opened by its path when the vault
// runs, so that nothing is linked.
#if __has_include(<p11-kit-1/p11-kit/pkcs11.h>)
#include <p11-kit-1/p11-kit/pkcs11.h>
#else
#include <p11-kit/pkcs11.h>
#endif
